"""The pages, a folder for each place: what it shows (`*_page.py`), and its templates beside it."""
