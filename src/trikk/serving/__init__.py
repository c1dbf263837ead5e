"""A registered model behind HTTP: SageMaker's contract, swapped when its alias moves, every answer logged.

Three kinds of process, so that a model can hurt only itself. The *front* (`server`, `app`, `dispatch`) speaks
HTTP, queues, and writes the log; it never imports the author's code. A *worker* (`worker`) has one model
version loaded, with the code that the version was made with; it reads bodies, predicts and writes answers. A
*spare* worker has imported the libraries already, so that the next version is there in a fraction of a
second.
"""
