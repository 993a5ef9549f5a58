"""The SFU: forwards media between participants and tees it to sinks. Its floors are described in README.md."""
