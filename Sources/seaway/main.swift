print("seaway")
