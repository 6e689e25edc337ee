def to_source(program): raise NotImplementedError
