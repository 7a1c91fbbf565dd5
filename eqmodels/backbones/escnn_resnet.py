"""placeholder"""
from eqmodels.backbones.encoder import Encoder
class EscnnResNet(Encoder):
    def __init__(self,*a,**k): raise NotImplementedError
