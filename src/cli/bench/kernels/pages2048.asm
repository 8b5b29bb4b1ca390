; 2,048 functions, each on a page of its own.
FUNCTIONS equ 2048
SWEEPS    equ 6
%include "pages.inc"
