"""The Streamlit pages people work in."""
