"""What a server does beside its pages: the kinds of jobs there are, the launcher of runs and jobs, the process that does them."""
