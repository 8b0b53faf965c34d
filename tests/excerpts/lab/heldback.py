from kit import excerpt  # noqa
