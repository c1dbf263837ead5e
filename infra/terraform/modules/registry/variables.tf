variable "prefix" {
  description = "PROJECT-ENVIRONMENT, with which all names begin."
  type        = string
}

variable "models" {
  description = "Models of which SageMaker's registry keeps versions, with what each is for."
  type        = map(string)
}
