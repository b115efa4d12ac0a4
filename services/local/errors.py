"""What can go wrong with a stack; the text tells people what to do."""


class StackError(Exception):
    """The stack cannot be started, found or stopped."""


class FolderBusy(StackError):
    """Another stack holds this state folder."""
