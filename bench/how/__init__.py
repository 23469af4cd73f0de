"""The pictures of docs/how-it-decides.md, drawn from runs of the book on the simulated market."""
