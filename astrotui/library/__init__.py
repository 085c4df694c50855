"""What a person does with a library: index, measure, choose, match calibrators, plan a stack."""
