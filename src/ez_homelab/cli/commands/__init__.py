"""One module per command (or pair of commands); each holds options, a call to `lab/`, and how the answer looks."""
