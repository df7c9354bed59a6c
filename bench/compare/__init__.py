"""Whole processes of fastrun, measured beside those of its peers.

``cases`` says what is measured and with which targets, ``contenders`` makes the programs ready, ``case`` runs them in
turn, ``record`` keeps the figures and judges them, ``report`` and ``plots`` show them.
"""
