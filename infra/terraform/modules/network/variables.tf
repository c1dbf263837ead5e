variable "prefix" {
  description = "PROJECT-ENVIRONMENT, with which all names begin."
  type        = string
}

variable "cidr" {
  description = "Addresses of the network, such as 10.20.0.0/16."
  type        = string
}

variable "zones" {
  description = "Availability zones, one private subnet in each."
  type        = list(string)
}

variable "services" {
  description = "Services of AWS that are reached inside the network, by their short names; each costs by the hour and zone."
  type        = set(string)
}

variable "logs_key" {
  description = "ARN of the key that encrypts the log of connections."
  type        = string
}

variable "keep_logs_days" {
  description = "Days for which the log of connections is kept."
  type        = number
}
