module simplest_script

go 1.21
