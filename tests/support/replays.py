"""A day with three legs, for replays that have to come to their end."""

TINY = """\
origin,airline,number,dest,std,sta,dep_delay,arr_delay,air_time,distance,tailnum
JFK,B6,7,BOS,2013-03-08T21:20:00Z,2013-03-08T22:30:00Z,2,-4,40,187,N1
JFK,DL,8,BUF,2013-03-08T21:30:00Z,2013-03-08T22:40:00Z,20,25,50,301,N2
LGA,US,9,BOS,2013-03-08T21:25:00Z,2013-03-08T22:30:00Z,,,,184,
"""
