"""Parts of a page that Streamlit lacks, each with its JavaScript."""
