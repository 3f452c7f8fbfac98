"""What runs on your machine: the emulator of the Yandex APIs, the hosts that run the functions, the command line."""
