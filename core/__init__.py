"""What `lmgait` is made of; see CONTRIBUTING.md for a tour of the rooms."""
