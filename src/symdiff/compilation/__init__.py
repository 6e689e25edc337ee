"""From Program to loop nests, and from those to source and to kernels."""
