"""An offline double of the Yandex Cloud APIs that the pipeline calls, all on one origin; see README.md here."""
