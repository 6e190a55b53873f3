"""What every section of the configuration is, and the kinds of numbers in it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MIB = 1024 * 1024

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Section(BaseModel):
    """Frozen; refuses what it does not know, and quotes no value in what it says."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
