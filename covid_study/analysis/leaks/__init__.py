"""What pictures give away besides the disease: the same picture twice, file headers, burnt text; and planted faults."""
