"""What is true: values and entities, pure and synchronous. Imports attrs and the standard library, nothing else."""
