"""drift"""

import streamlit as st

st.title("Drift")
