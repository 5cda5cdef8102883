"""How new weights are drawn, from torch's global generator."""

from torch import nn


def glorot_normal(network: nn.Module) -> nn.Module:
    """Glorot and Bengio 2010, normal form, with zero biases: as Frankle and Carbin 2019, figure 2."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def he_normal(network: nn.Module) -> nn.Module:
    """He et al. 2015 (Delving deep into rectifiers), section 2.2, with zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
