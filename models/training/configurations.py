"""The ways to train that are worth comparing. A user's own goes here."""

from fit import Configuration

CONFIGURATIONS = {
    configuration.name: configuration
    for configuration in (
        # The trunk stays as it is: minutes, and the floor that the others must beat.
        Configuration("heads", epochs=(4, 0, 0), small=224),
        # Enough for a first look.
        Configuration("short", epochs=(1, 6, 1)),
        Configuration("standard", epochs=(1, 12, 3)),
        # Slower, and smaller where it is served: for machines without a core to spare.
        Configuration("small", epochs=(1, 14, 2), size=192, small=144),
        # Of the test: a few steps on a few pictures.
        Configuration("try", epochs=(1, 2, 1), size=96, small=64, drawn=8),
    )
}
