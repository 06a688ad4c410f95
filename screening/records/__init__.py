"""What the hospital already knows: DXA results and patient context."""
