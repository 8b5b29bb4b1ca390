; 256 functions, each on a page of its own.
FUNCTIONS equ 256
SWEEPS    equ 48
%include "pages.inc"
