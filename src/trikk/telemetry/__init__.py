"""What is seen from outside: traces of runs and of authors' own spans."""
