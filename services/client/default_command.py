"""Groups of commands of which one may stay unnamed: `atelier detect PHOTO...`."""

from typing import Any, ClassVar

from typer.core import TyperGroup


class DefaultCommand(TyperGroup):
    """`default` is meant where no command is named; `arguments` are what it takes."""

    default: ClassVar[str]
    arguments: ClassVar[str] = "PHOTO..."

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, _: Any) -> list[str]:
        return [f"{self.arguments} [OPTIONS]", "|", "COMMAND [ARGS]..."]
