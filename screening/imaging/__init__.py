"""Series -> Hounsfield volume -> lumbar vertebrae -> attenuation and network input."""
