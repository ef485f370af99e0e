"""Who is it: people enrolled in a gallery, strangers to compare with, and the answer."""
