"""The built-in on-demand engine: starts apps when somebody comes, stops them when nobody is there."""
