"""What tests build the pipeline from: the emulator in process, moto on the wire, one clock that only tests move."""
