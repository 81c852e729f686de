HELP=""
def add_arguments(c): pass
def run(a): pass
