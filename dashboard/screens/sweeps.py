"""sweeps"""

import streamlit as st

st.title("Sweeps")
