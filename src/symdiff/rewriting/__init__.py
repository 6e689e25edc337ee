"""From Program to a smaller Program that computes the same."""
