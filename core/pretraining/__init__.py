"""Small frozen encoders, trained from nothing on rendered pictures and on sentences about them."""
