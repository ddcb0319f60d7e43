"How the packaged weights were made, and can be made again"
