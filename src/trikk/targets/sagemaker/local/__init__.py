"""SageMaker on this machine: pipeline definitions carried out by the documented contract, without an account."""
