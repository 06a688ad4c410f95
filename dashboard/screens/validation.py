"""validation"""

import streamlit as st

st.title("Validation")
