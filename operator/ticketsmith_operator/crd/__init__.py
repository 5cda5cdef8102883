"""The CustomResourceDefinition, made from the models of `ticketsmith.experiment`: one source for schema and reader."""
