"""What the questions of the chart read, measured on demand."""
