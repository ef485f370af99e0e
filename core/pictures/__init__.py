"""Drawing of labelled sheets and films from arrays. The only package that imports Pillow."""
