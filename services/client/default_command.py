"""Groups of commands of which one may stay unnamed: `atelier detect PHOTO...`."""

from typing import Any, ClassVar

from typer.core import TyperGroup


class PhotosOrCommand(TyperGroup):
    """`default` is meant where no command is named."""

    default: ClassVar[str]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, _: Any) -> list[str]:
        return ["PHOTO... [OPTIONS]", "|", "COMMAND [ARGS]..."]
