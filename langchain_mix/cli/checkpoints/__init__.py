"""Commands for the threads that `MixSaver` keeps."""
