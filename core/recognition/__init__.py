"""Identification of people: galleries of enrolled people, strangers for comparison, answers."""
