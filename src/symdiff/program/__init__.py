"""The Program: equations in index notation, printed, counted and saved."""
