"What several benchmarks share; nothing here is run by itself"
